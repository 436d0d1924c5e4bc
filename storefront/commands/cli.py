"""All commands of the shop."""

from flask import Flask

from storefront.commands import background, database, owners, products

COMMANDS = (
    background.clean_up,
    background.compare,
    background.send_mail,
    database.back_up,
    database.copy_to,
    database.examine,
    database.migrate,
    owners.create_owner,
    owners.seed,
    products.export_products,
    products.import_products,
)


def init_app(app: Flask) -> None:
    for command in COMMANDS:
        app.cli.add_command(command)
