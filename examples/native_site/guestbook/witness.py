"""Middleware that tells what the demo wants to show: which thread a request had, and in what company."""

import threading


class Witness:
    """Synchronous middleware as Django documents it; it sets the headers X-Thread and X-Under-Way."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.lock = threading.Lock()
        self.under_way = 0

    def __call__(self, request):
        self.count(1)
        try:
            response = self.get_response(request)
            response["X-Thread"] = threading.current_thread().name
            response["X-Under-Way"] = str(self.under_way)
            return response
        finally:
            self.count(-1)

    def count(self, number):
        """Count requests, of several threads if there are several."""
        with self.lock:
            self.under_way += number
