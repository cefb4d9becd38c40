"""Text: analysis into tokens, expressions over tokens, and chunking."""
