"""360dialog's dialect of v1, served where WAROUTER_D360 is set: /v1/configs.

webhook        the webhook as a client registers it
templates      the account's templates, through Graph
template_list  the list of them, read once a minute
page           which of them a client asks for, in its order and form
"""
