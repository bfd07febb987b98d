"""python -m services.customer"""

from runtime.serve import serve
from services.customer.app import create_app
from services.customer.settings import Settings

if __name__ == "__main__":
    settings = Settings.read()
    serve(create_app(settings), settings)
