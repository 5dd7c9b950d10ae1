"""By how much one slow thing slows the others."""
