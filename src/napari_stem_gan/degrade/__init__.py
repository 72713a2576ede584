"""What instruments and dirt do to an ideal image."""
