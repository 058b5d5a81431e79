/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-conn.h"

#include <string.h>

#include "ipc/interfaces.h"

/* Which method a call means, and org.varlink.service itself. */

static void error_with(struct varlink_call *c, const char *error,
                       const char *member, const char *value, size_t len)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct bytes text = { (const uint8_t *)value, len };

    if (buf_printf(&b, "{\"%s\":", member) != 0 ||
        buf_append_json(&b, text) != 0 || buf_append_char(&b, '}') != 0)
        buf_clear(&b);
    varlink_error(c, error, buf_bytes(&b));
}

static void error_method(struct varlink_call *c, const char *error)
{
    error_with(c, error, "method", c->method, strlen(c->method));
}

void varlink_error_invalid_parameter(struct varlink_call *c, const char *name)
{
    error_with(c, VARLINK_SERVICE ".InvalidParameter", "parameter", name,
               strlen(name));
}

void varlink_error_permission_denied(struct varlink_call *c)
{
    varlink_error(c, VARLINK_SERVICE ".PermissionDenied", (struct bytes){ 0 });
}

void varlink_error_expected_more(struct varlink_call *c)
{
    varlink_error(c, VARLINK_SERVICE ".ExpectedMore", (struct bytes){ 0 });
}

static struct varlink_server *server_of(const struct varlink_call *c)
{
    return c->conn->server;
}

static bool is_served(const struct varlink_call *c,
                      const struct varlink_interface *interface)
{
    const char *const *names = c->conn->socket->listener.interfaces;

    for (; names && *names; names++) {
        if (strcmp(*names, interface->name) == 0)
            return true;
    }
    return strcmp(interface->name, VARLINK_SERVICE) == 0;
}

static const struct varlink_interface *
find_interface(struct varlink_call *c, const char *name, size_t len)
{
    struct varlink_server *s = server_of(c);

    for (size_t i = 0; i < s->n_interfaces; i++) {
        const struct varlink_interface *interface = s->interfaces[i];

        if (strlen(interface->name) == len &&
            memcmp(interface->name, name, len) == 0 && is_served(c, interface))
            return interface;
    }
    return NULL;
}

static void get_info(struct varlink_call *c, const json_t *parameters,
                     void *userdata)
{
    struct varlink_server *s = server_of(c);
    json_t *names = json_array();

    (void)userdata;
    if (json_object_size(parameters) > 0) {
        json_decref(names);
        varlink_error_invalid_parameter(
            c, json_object_iter_key(
                   json_object_iter(json_object_get(c->root, "parameters"))));
        return;
    }
    for (size_t i = 0; i < s->n_interfaces; i++) {
        if (is_served(c, s->interfaces[i]))
            (void)json_array_append_new(names,
                                        json_string(s->interfaces[i]->name));
    }
    varlink_reply_json(c, json_pack("{s:s, s:s, s:s, s:s, s:o}", "vendor",
                                    s->info.vendor, "product", s->info.product,
                                    "version", s->info.version, "url",
                                    s->info.url, "interfaces", names));
}

static void get_interface_description(struct varlink_call *c,
                                      const json_t *parameters, void *userdata)
{
    const struct varlink_interface *interface;
    const char *name =
        json_string_value(json_object_get(parameters, "interface"));

    (void)userdata;
    if (!name || json_object_size(parameters) != 1) {
        varlink_error_invalid_parameter(c, "interface");
        return;
    }
    interface = find_interface(c, name, strlen(name));
    if (!interface) {
        error_with(c, VARLINK_SERVICE ".InterfaceNotFound", "interface", name,
                   strlen(name));
        return;
    }
    varlink_reply_json(
        c, json_pack("{s:s}", "description", interface->description));
}

static const struct varlink_method service_methods[] = {
    { "GetInfo", get_info, 0 },
    { "GetInterfaceDescription", get_interface_description, 0 },
};

const struct varlink_interface varlink_service_interface = {
    .name = VARLINK_SERVICE,
    .description = varlink_org_varlink_service,
    .methods = service_methods,
    .n_methods = ARRAY_LEN(service_methods),
};

static const struct varlink_method *
find_method(const struct varlink_interface *interface, const char *name)
{
    for (size_t i = 0; i < interface->n_methods; i++) {
        if (strcmp(interface->methods[i].name, name) == 0)
            return &interface->methods[i];
    }
    return NULL;
}

void varlink_service_dispatch(struct varlink_call *c)
{
    const struct varlink_interface *interface;
    const struct varlink_method *method;
    const char *dot = strrchr(c->method, '.');
    size_t len = dot ? (size_t)(dot - c->method) : strlen(c->method);

    interface = find_interface(c, c->method, len);
    if (!interface) {
        error_with(c, VARLINK_SERVICE ".InterfaceNotFound", "interface",
                   c->method, len);
        return;
    }
    method = dot ? find_method(interface, dot + 1) : NULL;
    if (!method) {
        error_method(c, VARLINK_SERVICE ".MethodNotFound");
        return;
    }
    if (c->upgrade) {
        varlink_error_invalid_parameter(c, "upgrade");
        return;
    }
    if (interface->authorise &&
        interface->authorise(c, method, interface->userdata) != 0)
        return;
    if (!method->fn) {
        error_method(c, VARLINK_SERVICE ".MethodNotImplemented");
        return;
    }
    method->fn(c, c->parameters, interface->userdata);
}
