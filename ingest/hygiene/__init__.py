"""What a document may carry and what not: hidden characters, secrets, personal data, its language, its encoding."""
