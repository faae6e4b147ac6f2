"""Pictures of features, runs and predictions."""
