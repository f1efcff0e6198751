"""The study in Markdown: sections return facts, templates word them."""
