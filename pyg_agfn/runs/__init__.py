"""Run folders: how a trained model is kept and handed on."""
