"""Judge pictures that are posted: BUNDLE=parts.panda uvicorn fastapi_app:app

curl -H 'Content-Type: image/png' --data-binary @part.png http://127.0.0.1:8000/judge
"""

import os
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException

import panda_edge

app = FastAPI()
detector = panda_edge.load(os.environ["BUNDLE"])  # one for all requests: any number of threads may use it


@app.post("/judge")
def judge(picture: Annotated[bytes, Body(media_type="image/*")]) -> dict[str, Any]:
    """The verdict and the regions of one picture."""
    try:
        return detector.segment(picture).to_dict()
    except panda_edge.ImageError as error:
        raise HTTPException(422, str(error)) from None
