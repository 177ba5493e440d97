CREATE TABLE `audit` (
	`number` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`at_ms` integer NOT NULL,
	`request_id` text NOT NULL,
	`token_name` text NOT NULL,
	`role` text NOT NULL,
	`method` text NOT NULL,
	`path` text NOT NULL,
	`operation` text,
	`pool` text,
	`reason` text,
	`request` text,
	`operation_id` text,
	`code` text,
	`status` integer,
	`ended_at_ms` integer
);
--> statement-breakpoint
CREATE INDEX `audit_at` ON `audit` (`at_ms`);--> statement-breakpoint
CREATE INDEX `audit_token` ON `audit` (`token_name`);--> statement-breakpoint
CREATE INDEX `audit_operation` ON `audit` (`operation`);--> statement-breakpoint
CREATE INDEX `audit_pool` ON `audit` (`pool`);--> statement-breakpoint
CREATE INDEX `audit_code` ON `audit` (`code`);--> statement-breakpoint
CREATE INDEX `audit_operation_id` ON `audit` (`operation_id`);