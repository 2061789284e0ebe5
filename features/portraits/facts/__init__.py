"""What stands in words on a portrait: facts behind reasons, classes, the story and the class report."""
