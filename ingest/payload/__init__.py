"""One decoder for each payload format: pure, bytes → samples and rejections."""
