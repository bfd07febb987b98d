"""python -m services.order"""

from runtime.serve import serve
from services.order.app import create_app
from services.order.settings import Settings

if __name__ == "__main__":
    settings = Settings.read()
    serve(create_app(settings), settings)
