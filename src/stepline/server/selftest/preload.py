"""All that a service imports, for the server that forks services."""

import stepline.plugins.executor_process.executor
import stepline.plugins.files_local.logs
import stepline.plugins.files_local.uploads
import stepline.plugins.secrets_encrypted.store
import stepline.plugins.state_sql.state
import stepline.plugins.watch_folder.watcher
import stepline.server.selftest.child  # noqa: F401
