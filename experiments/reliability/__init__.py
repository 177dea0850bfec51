"""How the package behaves when something fails, and whether the tests would notice a mistake."""
