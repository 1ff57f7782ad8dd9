"""The Kubeflow half of tofner: `components` and `pipelines`, folders at the top of the tree (docs/decisions.md)."""
