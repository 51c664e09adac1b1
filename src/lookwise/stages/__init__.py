"""What is asked of models, and what their replies mean: pure ask/read pairs and selectors."""
