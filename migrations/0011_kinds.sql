-- +goose Up

-- Kinds of tasks of disc sets. In a migration of their own: PostgreSQL uses none in the transaction that makes it.
alter type task_kind add value 'gather';  -- adds a built image to the parity of its set
alter type task_kind add value 'seal';    -- makes the parity of a closed set final
alter type task_kind add value 'rebuild'; -- makes an image anew from others of its set

-- +goose Down
select 1/0; -- forward only
