"""The v1 API: what each endpoint accepts, does and answers.

A route says who may use it and what describes it (``route``); ``app`` makes the application of all
routes, and around each handler checks access, limits and the audit log, and puts errors into the
envelope. Handlers get what they need as ``context.Context`` and reach the database only through
``store``. The OpenAPI description is made from the same routes and Structs, and the tests hold
every answer against it.

    app             routes, middlewares, errors in the envelope
    route           what a route is
    context         what handlers need from the process around them
    messages/       POST /v1/messages: validation, ids, the fast path
    media           /v1/media, and what a message with media needs
    contacts/       /v1/contacts: numbers and identities
    configs/        360dialog's dialect: its webhook, the account's templates
    account/        registration and shard count
    access/         users, login, tokens, attempts, the audit log
    monitoring/     health, metrics, support
    description/    OpenAPI and the page that shows it
    settings        /v1/settings/application
    webhook         the secrets that sign callbacks, one after the other
    providers       credentials for the links of media
    certificates    TLS of the API itself, and of webhook receivers
    profile/        what customers see of the business
    graph_refusals  what a call that Meta refused, or did not answer, becomes
    stickers        sticker packs
    services        pruning on demand
    groups          /v1/groups, which is gone
    backup          backup and restore
    restored        what a backup holds, checked like a request
    sealed          a backup's text: compressed and encrypted
"""
