"""What happens: every replica's metrics, once a second, and what is kept of them."""

from stoker.observe.scrape import Narrowed, Page, Scraper, page
from stoker.observe.store import History, Record
from stoker.observe.watch import Watcher

__all__ = ["History", "Narrowed", "Page", "Record", "Scraper", "Watcher", "page"]
