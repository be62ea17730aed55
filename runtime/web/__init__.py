"""The page and its server: ``guard`` decides who may ask what, ``app`` answers, ``server`` listens.

What a browser loads lies beside them: ``index.html``, ``page.css``, ``page.js``, written by hand, no build step, no
outside address; and ``openapi.json``, which describes what programs may ask. Needs the extra ``serve``; only
``runtime.serve`` imports this package.
"""
