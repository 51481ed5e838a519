"""The pages for people: rendered here, with one small script of our own; nothing on them comes from elsewhere."""

from osprey_executor.interfaces.web.pages.add import add_pages, is_page, page_routes
from osprey_executor.interfaces.web.pages.sessions import Sessions

__all__ = ["Sessions", "add_pages", "is_page", "page_routes"]
