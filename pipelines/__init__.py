"""The Kubeflow graphs, and what compiles and runs them. Arrows point one way: pipelines -> components -> tofner."""
