"""python -m services.history"""

from runtime.serve import serve
from services.history.app import create_app
from services.history.settings import Settings

if __name__ == "__main__":
    settings = Settings.read()
    serve(create_app(settings), settings)
