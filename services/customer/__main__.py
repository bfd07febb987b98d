"""python -m services.customer"""

from services.customer.app import create_app
from services.customer.settings import Settings
from web.server import read_settings, serve

if __name__ == "__main__":
    settings = read_settings(Settings)
    serve(create_app(settings), settings)
