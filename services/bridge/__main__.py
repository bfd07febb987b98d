"""python -m services.bridge"""

from runtime.serve import serve
from services.bridge.app import create_app
from services.bridge.settings import Settings

if __name__ == "__main__":
    settings = Settings.read()
    serve(create_app(settings), settings)
