"""What the study could have found: known directions, planted in its activations."""
