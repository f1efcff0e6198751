"""How vectors are made of contrast pairs."""
