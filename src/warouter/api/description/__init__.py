"""The API's description: OpenAPI 3.1, made from the routes and the Structs that validate.

openapi    the document
page       the document as JSON and as a page to read
replies    what the API answers, one Struct an answer
wrapped    the objects that the product wraps answers in
errors     the same as a page to read
"""
