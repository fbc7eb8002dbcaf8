"""The bundled storefront: one package, eight services, told apart by SHOP_ROLE."""
