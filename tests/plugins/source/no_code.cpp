// Nothing but the headers that are compiled in advance for all test plugins.
