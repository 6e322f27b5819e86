"""The page as plain files: what app.export_static writes, part by part."""
