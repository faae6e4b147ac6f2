"""Finds the wrong labels of any labelled images."""
