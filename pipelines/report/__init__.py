"""What a render leaves for people to look at: thumbnails, the contact sheet, the report page."""
