"""The parts that comparison models share: each stands once, and knows no model."""
