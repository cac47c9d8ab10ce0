"""What one does: up, scale, restart, down, connect; picks a target and joins the parts."""
