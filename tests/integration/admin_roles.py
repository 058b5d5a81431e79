# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may call what of org.acmeguardian.Admin: decided here for each method.

The tests compare this with the interface that the daemon serves: a method that
is added without a line here makes them fail.
"""

NONE, MONITOR, OPS, ADMIN = range(4)

NEEDED = {
    "Status": MONITOR,
    "Metrics": MONITOR,
    "MetricsAccounts": MONITOR,
    "TokenList": MONITOR,
    "AccountList": MONITOR,
    "AccountShow": MONITOR,
    "AuditHead": MONITOR,
    "RecordList": MONITOR,
    "RecordValues": MONITOR,
    "NameDenied": MONITOR,
    "RotationStatus": MONITOR,
    "Watch": MONITOR,
    # What timers need: nothing that ends an account or a key, lets a PIN be
    # sent again, changes who may sign, or erases what was logged.
    "Reload": OPS,
    "TokenCheck": OPS,
    # Directories are read again, proofs last for a day.
    "AccountSetDirectory": OPS,
    "AccountSignProof": OPS,
    "AccountProven": OPS,
    "AccountNotProven": OPS,
    "AccountSignFetch": OPS,
    # A rotation that an admin started goes on.
    "RotationStep": OPS,
    "RotationSign": OPS,
    "RotationResolve": OPS,
    "RotationAnswer": OPS,
    "RotationRecords": OPS,
    # Alone with "scheduled"; else admin.
    "RotationStart": OPS,
    "RotationAbort": ADMIN,
    "RotationAccept": ADMIN,
    "TokenUnlock": ADMIN,
    "TokenSelfTest": ADMIN,
    "AccountCreate": ADMIN,
    "AccountAdopt": ADMIN,
    "AccountSetIssuers": ADMIN,
    "AccountSetSchedule": ADMIN,
    "AccountSignRegistration": ADMIN,
    "AccountRegistered": ADMIN,
    "AccountSignDeactivation": ADMIN,
    "AccountDeactivated": ADMIN,
    "AccountSignUpdate": ADMIN,
    "AccountUpdated": ADMIN,
    "AccountSignOrder": ADMIN,
    "AccountSignAuthorizationDeactivation": ADMIN,
    # What is published, and what may be signed.
    "RecordAdd": ADMIN,
    "RecordRemove": ADMIN,
    "BackupBegin": ADMIN,
    "BackupRead": ADMIN,
    "NameDeny": ADMIN,
    "NameAllow": ADMIN,
    "Suspend": ADMIN,
    "Resume": ADMIN,
    "AuditRotate": ADMIN,
    "AuditTakeFirstKey": ADMIN,
}
