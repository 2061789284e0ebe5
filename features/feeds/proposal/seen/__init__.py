"""What is seen in unknown files before anything is proposed: what each is, and what its columns hold."""
