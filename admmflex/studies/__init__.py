"""What an operator asks for: studies made of coordinations."""
