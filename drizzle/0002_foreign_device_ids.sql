CREATE TABLE `foreign_device_ids` (
	`device_id` integer PRIMARY KEY NOT NULL
);
