"""English as far as the offline planner needs it: a prompt becomes groups of things, relations and a setting."""
