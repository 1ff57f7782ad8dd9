"""Thin KFP components, one a stage: import inside, call the stage, fill the artifacts. All logic is in `tofner`."""
