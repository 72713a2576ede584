"""The finder: vacancies and other point defects as points and tables."""
