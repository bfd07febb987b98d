"""python -m services.order"""

from services.order.app import create_app
from services.order.settings import Settings
from web.server import read_settings, serve

if __name__ == "__main__":
    settings = read_settings(Settings)
    serve(create_app(settings), settings)
