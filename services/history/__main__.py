"""python -m services.history"""

from services.history.app import create_app
from services.history.settings import Settings
from web.server import read_settings, serve

if __name__ == "__main__":
    settings = read_settings(Settings)
    serve(create_app(settings), settings)
