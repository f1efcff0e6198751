"""Do steering vectors predict sycophancy? Extraction, evaluation and intervention."""
