CREATE TABLE `devices` (
	`number` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`device_id` integer NOT NULL,
	`fs_type` text NOT NULL,
	`size_bytes` integer NOT NULL,
	`state` text NOT NULL,
	`role` text NOT NULL,
	`template_key` text,
	`operation_id` text,
	CONSTRAINT "devices_device_id_24_bit" CHECK("devices"."device_id" between 0 and 16777215),
	CONSTRAINT "devices_size" CHECK("devices"."size_bytes" > 0),
	CONSTRAINT "devices_fs_type" CHECK("devices"."fs_type" in ('ext4', 'xfs')),
	CONSTRAINT "devices_state_known" CHECK("devices"."state" in ('creating', 'created', 'activating', 'activated', 'suspending', 'suspended', 'resuming', 'resumed', 'deactivating', 'deactivated', 'removing', 'removed', 'faulty')),
	CONSTRAINT "devices_role_known" CHECK("devices"."role" in ('snapshot', 'template')),
	CONSTRAINT "devices_template_has_key" CHECK(("devices"."role" = 'template') = ("devices"."template_key" is not null))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `devices_device_id` ON `devices` (`device_id`);--> statement-breakpoint
CREATE UNIQUE INDEX `devices_template_key` ON `devices` (`template_key`);--> statement-breakpoint
CREATE INDEX `devices_state` ON `devices` (`state`);--> statement-breakpoint
CREATE INDEX `devices_operation` ON `devices` (`operation_id`);--> statement-breakpoint
CREATE TABLE `foreign_devices` (
	`name` text PRIMARY KEY NOT NULL
);
--> statement-breakpoint
CREATE TABLE `free_device_ids` (
	`device_id` integer PRIMARY KEY NOT NULL,
	CONSTRAINT "free_device_ids_24_bit" CHECK("free_device_ids"."device_id" between 0 and 16777215)
);
--> statement-breakpoint
CREATE TABLE `images` (
	`reference` text NOT NULL,
	`platform` text NOT NULL,
	`manifest_digest` text NOT NULL,
	`chain_id` text NOT NULL,
	`layers` text NOT NULL,
	`unpacked_at_ms` integer NOT NULL,
	PRIMARY KEY(`reference`, `platform`)
);
--> statement-breakpoint
CREATE INDEX `images_chain_id` ON `images` (`chain_id`);--> statement-breakpoint
CREATE TABLE `labels` (
	`snapshot` integer NOT NULL,
	`name` text NOT NULL,
	`value` text NOT NULL,
	PRIMARY KEY(`snapshot`, `name`),
	FOREIGN KEY (`snapshot`) REFERENCES `snapshots`(`number`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "labels_not_empty" CHECK("labels"."value" <> '')
);
--> statement-breakpoint
CREATE INDEX `labels_name_value` ON `labels` (`name`,`value`);--> statement-breakpoint
CREATE TABLE `operations` (
	`operation_id` text PRIMARY KEY NOT NULL,
	`job` text NOT NULL,
	`payload_hash` text NOT NULL,
	`state` text NOT NULL,
	`result` text,
	`failure` text,
	`intended_at_ms` integer NOT NULL,
	`settled_at_ms` integer,
	CONSTRAINT "operations_state_known" CHECK("operations"."state" in ('intended', 'settled')),
	CONSTRAINT "operations_settled_has_answer" CHECK(("operations"."state" = 'settled') = (("operations"."result" is null) <> ("operations"."failure" is null)))
);
--> statement-breakpoint
CREATE INDEX `operations_state_settled` ON `operations` (`state`,`settled_at_ms`);--> statement-breakpoint
CREATE TABLE `outbox` (
	`operation_id` text PRIMARY KEY NOT NULL,
	`job` text NOT NULL,
	`payload` text NOT NULL,
	`created_at_ms` integer NOT NULL,
	`cancelled_at_ms` integer
);
--> statement-breakpoint
CREATE INDEX `outbox_created` ON `outbox` (`created_at_ms`);--> statement-breakpoint
CREATE TABLE `pool` (
	`only` integer PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`driver` text NOT NULL,
	`fs_type` text NOT NULL,
	`device_size_bytes` integer NOT NULL,
	`transaction_id` integer NOT NULL,
	`created_at_ms` integer NOT NULL,
	CONSTRAINT "pool_has_one_row" CHECK("pool"."only" = 1),
	CONSTRAINT "pool_fs_type" CHECK("pool"."fs_type" in ('ext4', 'xfs'))
);
--> statement-breakpoint
CREATE TABLE `snapshots` (
	`number` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`scope` text NOT NULL,
	`key` text NOT NULL,
	`kind` text NOT NULL,
	`parent` integer,
	`device` integer NOT NULL,
	`used_bytes` integer,
	`created_at_ms` integer NOT NULL,
	`updated_at_ms` integer NOT NULL,
	FOREIGN KEY (`parent`) REFERENCES `snapshots`(`number`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`device`) REFERENCES `devices`(`number`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "snapshots_kind_known" CHECK("snapshots"."kind" in ('view', 'active', 'committed')),
	CONSTRAINT "snapshots_committed_has_usage" CHECK(("snapshots"."kind" = 'committed') = ("snapshots"."used_bytes" is not null))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `snapshots_scope_key` ON `snapshots` (`scope`,`key`);--> statement-breakpoint
CREATE INDEX `snapshots_parent` ON `snapshots` (`parent`);--> statement-breakpoint
CREATE INDEX `snapshots_device` ON `snapshots` (`device`);