"""Where questions come from: tables written for this project, public files, your own."""
