"""Pages and pictures for people: templates and figures."""
